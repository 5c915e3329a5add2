"""The project folder: every file in it is written, read and ranked here.

This package keeps these files there, or reads those of keras-tuner:

| file | module | content |
|---|---|---|
| `evolution.jsonl` | `record` | births and ends of individuals, in order |
| `search.lock` | `lock` | the process that searches here |
| `trial_*/learning_curves.json` | `curves` | every log of every epoch |
| `finalists.json`, `ablation.json` | `retrained` | networks trained again |
| `supernet/supernet.json` | `shared_weights` | the supernet, if there is one |
| `oracle.json`, `trial_*/trial.json` | `reading`, `trials` | keras-tuner's |

`reading.load` makes a `Search` of all of them, `ranking` says which trial is
best, `objectives` how scores turn into losses, `spaces` which genes there are.
Nothing here imports Keras.
"""
