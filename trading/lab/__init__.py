"""The lab: what is tried before anything is traded, and how much of what is found there is luck."""
