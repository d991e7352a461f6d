"""Looking after an archive that exists: checking it and finishing what a crash left."""
