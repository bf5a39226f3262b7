"""What a person looks at: maps, figures and tables of a run."""
