"""Studies of settings: ranges, trials that resume from their checkpoints, and the best of them, trained and tested."""

from neocog.tuning.run_study import resume_study, tune
from neocog.tuning.study import Study, open_study
from neocog.tuning.trial import TunedTrial

__all__ = ["Study", "TunedTrial", "open_study", "resume_study", "tune"]
