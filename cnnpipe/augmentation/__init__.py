"""Random changes to pictures and their targets, behind one small interface."""
