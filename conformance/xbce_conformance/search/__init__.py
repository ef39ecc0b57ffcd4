"""Looks for inputs with larger errors than samples have."""
