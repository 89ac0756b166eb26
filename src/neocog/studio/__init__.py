"""The Studio: a local web page on your own networks, runs and data. Every number in it comes from Neocog itself.

state      what is open: bundles, runs, data, inputs that were dropped on the page
jobs       work in the background, with progress, that can be stopped
run_files  what a run folder says: curves, metrics, confusion matrix
run_data   the data of a run, opened as in training, and every sample scored
lessons    ten lessons as data files, their claims and how the engine checks them, example networks
kept       inputs that were sent, in all parts in which a network receives them, with the code that reads them
samples    samples to look at, of the open data or of a run
received   an input as the page draws it; `outputs`, `followed`: what the network says, and the numbers of one unit
turns      one computation at a time, and none that nobody waits for
channel_work  patches, projection and synthesised input of a channel
wire       tensors on their way to the browser
guard      who may ask: a token, this machine's own address, limits on what is sent
app        the server: guard, errors, files, and the routes of each screen
routes     a file for each screen: what the browser asks and the engine answers
static     the page: Preact, no build step; `js/screens` has a file for each screen
serve      `neocog studio`
"""

__all__: list[str] = []
