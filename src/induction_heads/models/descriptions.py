"""What each model that ships with the package is, in one line."""

DESCRIPTIONS = {
    "toy-2l": "two layers; trains in seconds and forms the circuit",
    "toy-1l": "the control: one layer, the same data, no circuit",
    "markov-2l": "Markov data: the loss waits at the bigram entropy, then drops",
    "python-2l": "Python source, with a tokenizer for real prompts",
    "natural-2l": "the same text as it is, no row repeated on purpose, seed 0",
    "natural-2l/seed-1": "the same with seed 1",
    "natural-2l/seed-2": "the same with seed 2",
    "gpt2-2l": "the text of python-2l, GPT-2 architecture with MLPs",
    "llama-4l": "the same text, Llama architecture, bfloat16",
    "pythia-4l": "the same text, Pythia architecture, no BOS token",
    "matching/copies": "a toy that matches the same token",
    "matching/concepts": "a toy that matches other words of the same concept",
    "matching/pairs": "a toy that matches the last two tokens",
    "matching/lags": "a toy whose next token follows from one of the last two",
    "matching/gaps": "a toy whose copies may have a blank after each token",
    "matching/translation": "a toy that continues with a translation",
    "tasks-2l": "picks one of eight mappings from the examples in the prompt",
    "sycophant-2l": "dialogues in which agreement follows praise, seed 0",
    "sycophant-2l/seed-1": "the same with seed 1",
    "sycophant-2l/seed-2": "the same with seed 2",
}
"""Zoo name → one line, in the order of the course."""
