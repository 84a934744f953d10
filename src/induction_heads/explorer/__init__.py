"""The engine of the in-browser explorer: JavaScript modules, and the text that carries models."""
