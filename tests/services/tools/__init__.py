"""Other people's tools that read Acta's topics, each fetched once and run for real."""
