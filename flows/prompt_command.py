"""`coemogen write-prompts`: a language model's prompts for the baseline "sd-llm", as a file. No flow, no Prefect."""

from pathlib import Path

from rich.console import Console

from coemogen_core.methods.prompt_writing import PromptWriter, write_prompts

console = Console(highlight=False)


def write_prompt_file_for(writer: PromptWriter, file: Path) -> None:
    """Write the file, or say that it is there."""
    there = file.exists()
    prompts = write_prompts(writer, file)
    count = sum(len(found) for found in prompts.prompts.values())
    console.print(
        f"{count} prompts by {prompts.model} {'were there already' if there else 'written'}: {file}", soft_wrap=True, markup=False
    )
