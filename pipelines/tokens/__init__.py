"""Tokenizers, token shards and token sets: what a trainer reads."""
