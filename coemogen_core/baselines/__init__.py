"""The methods that CoEmoGen is compared with, and itself under the same interface."""
