"""How stages are joined: the flows, the command line, the report. No loop over samples."""
