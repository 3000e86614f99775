"""The sample rows, and the script that makes them."""
