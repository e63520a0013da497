"""Where LangGraph keeps how far a run is: SQLite or Postgres."""
