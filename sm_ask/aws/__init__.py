"""Everything that knows AWS: the session, the runtime API, event-stream frames, and what each failure means."""
