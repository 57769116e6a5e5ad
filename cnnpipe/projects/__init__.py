"""A project of one's own: made around VIA files, brought up to date with newer ones, looked over."""
