"""The commands of the command line, one module each: they parse options, call the plugin, and print."""
