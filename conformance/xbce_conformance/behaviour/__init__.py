"""What a result must not depend on: the form of the arrays that the numbers come in, and the company of other ones."""
