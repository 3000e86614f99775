"""Local training and answering: Unsloth on a GPU, transformers and PEFT elsewhere, TRL's SFTTrainer in both."""
