"""One module for each paper: its claims, run and measured; ``registry`` lists them."""
