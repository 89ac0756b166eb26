"""The two networks for MNIST-1D reach their published accuracy, in seconds: `make test-slow`."""

import pytest
import torch
import torch.nn.functional as F

from neocog.zoo.networks.mnist1d import mnist1d

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def signals():
    """4,000 training and 1,000 test signals (N, 1, 40) with labels; generated from the data set's own seed.

    On one thread from here on: layers as small as these lose time to a second one.
    """
    data = pytest.importorskip("mnist1d.data", reason="MNIST-1D is made by the package mnist1d: pip install mnist1d")
    made = data.make_dataset(data.get_dataset_args())
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield {
        split: (torch.from_numpy(made[f"x{end}"]).float()[:, None], torch.from_numpy(made[f"y{end}"]))
        for split, end in (("train", ""), ("test", "_test"))
    }
    torch.set_num_threads(threads)


def train(model, signals, labels, epochs=100, batch_size=100, lr=0.01, most_shifted=4):
    """Adam on one cycle of the learning rate; each batch is rolled by a few samples, as the data set's signals are."""
    optimizer = torch.optim.Adam(model.parameters(), lr)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=epochs * len(labels) // batch_size)
    for _ in range(epochs):
        for batch in torch.randperm(len(labels)).split(batch_size):
            shift = int(torch.randint(-most_shifted, most_shifted + 1, ()))
            loss = F.cross_entropy(model(signals[batch].roll(shift, dims=2)), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("variant", "published"), [("mnist1d_greydanus", 0.94), ("mnist1d_prince", 0.83)])
def test_published_accuracy(variant, published, seed, signals):
    """Greydanus 2020, figure 3; Prince 2023, chapter 10: a test error of about 17%."""
    torch.manual_seed(seed)
    model = mnist1d(variant)
    train(model, *signals["train"])
    images, labels = signals["test"]
    with torch.no_grad():
        accuracy = (model(images).argmax(1) == labels).float().mean().item()
    print(f"{variant}, seed {seed}: {accuracy:.1%} of the test signals, published about {published:.0%}")
    assert accuracy >= published
