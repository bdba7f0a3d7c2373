"""A metric that needs no features."""


class Brightness:
    """How far the images' mean is from ``target``."""

    name = "brightness"
    higher_is_better = False

    def __init__(self, target=0.0):
        self.target = target
        self.total, self.count = 0.0, 0

    def update(self, images, first):
        self.total += float(images.double().sum())
        self.count += images.numel()

    def merge(self, other):
        self.total, self.count = self.total + other.total, self.count + other.count

    def value(self):
        return abs(self.total / self.count - self.target)
