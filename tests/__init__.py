"""What the tests of the project are written in."""
