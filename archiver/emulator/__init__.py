"""A vendor of our own: the API and its download host as a real HTTP server."""
