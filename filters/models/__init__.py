"""Small weights, one folder a stage, with a model card each."""
