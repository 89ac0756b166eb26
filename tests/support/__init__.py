"""Sets, networks, damage and tasks that several tests share; typed, as the program is."""
