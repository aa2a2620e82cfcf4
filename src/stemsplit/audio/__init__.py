"""
Files to blocks of float32, and blocks back to files; knows no network.

    reader.py       the door: open any file, yield blocks; it picks one of the two decoders
    soundfile_decoder.py, ffmpeg_decoder.py
    blocks.py       what a block is, and what is known about where blocks come from
    channels.py     mono, stereo, surround
    resample.py     streaming rate conversion
    writer.py       the stems of a track, written whole or not at all
    stem_file.py    one file being written      held.py     samples that wait for the gain
    formats.py      the table of formats        quantise.py float to integers, with dither
    folders.py      output folders, made and taken away again
    faults.py       how operating system errors are told
"""
