"""Which run, split and images are shown: the address, filters, rows, slices and areas."""
