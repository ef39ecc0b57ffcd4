"""What is tried: formats, regimes of adversarial arguments, logits of real models, worst cases that search found."""
