"""What words say, whoever reads them."""
