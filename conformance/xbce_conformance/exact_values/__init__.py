"""What is right: the definitions, evaluated exactly. Nothing here is shared with xbce."""
