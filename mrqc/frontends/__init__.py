"""Importers, one package for each file format."""
