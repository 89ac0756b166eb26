from neocog.serving.exchange import Answer, Call


async def document(call: Call) -> Answer:
    return Answer.of({})
