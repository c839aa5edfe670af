"""How soon a call that failed is made again."""
