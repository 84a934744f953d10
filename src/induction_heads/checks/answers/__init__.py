"""The known mistakes of every chapter with their hints, and other correct implementations."""
