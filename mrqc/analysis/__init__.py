"""Pure functions of a module: what is known about it before it runs."""
