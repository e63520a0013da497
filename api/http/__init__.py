"""What every route shares: dependencies, errors, access, limits, the API document."""
