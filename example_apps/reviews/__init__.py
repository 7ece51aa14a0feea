"""What customers say about the products, on FastAPI."""
