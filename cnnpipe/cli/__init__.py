"""The commands: words, printing, exit codes and the process of a stage live here only."""
