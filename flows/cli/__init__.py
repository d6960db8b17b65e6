"""The command line, `synclr`: one module a group of commands."""
