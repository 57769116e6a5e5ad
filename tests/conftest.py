"""Puts this folder on the path of imports, so that every test can use `synthetic`."""
