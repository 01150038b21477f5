"""The selected run, split and images: address, filters, rows, slices and map areas."""
