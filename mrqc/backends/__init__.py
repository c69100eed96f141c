"""What runs or emits a module; backends obey, they never decide."""
