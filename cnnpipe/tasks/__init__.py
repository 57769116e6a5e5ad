"""One folder per task of `experiments.<name>.task`: its view, its training, how it is judged and compared."""
