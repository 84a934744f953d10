"""One training run: recipes, records, cards, and every model of the zoo made again."""
