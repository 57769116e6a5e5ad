"""The definitions of every metric, without torch and without files of its own."""
