"""The commands: words, printing, exit codes and the stage's own process live here only."""
