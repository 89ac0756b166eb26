"""The Studio: a local web page on your own networks, runs and data. Every number in it comes from Neocog itself.

state      what is open: bundles, runs, data, inputs that were dropped on the page
wire       tensors on their way to the browser
guard      who may ask: a token, this machine's own address, limits on what is sent
app        the server: guard, errors, files, and the routes of each screen
routes     a file for each screen: what the browser asks and the engine answers
static     the page: Preact, no build step; `js/screens` has a file for each screen
serve      `neocog studio`
"""
