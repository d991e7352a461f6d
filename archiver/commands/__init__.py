"""The commands of the program, one file a command; heavy imports happen inside them."""
