"""Many models and many ablations: run, journal, tables, comparison with the stored results."""
